// What Python tells the page (src/knuckle/web/settings.py): no number is written down twice.

export type Card = { kind: string; input_size: number; feature_size: number; version: string };

type Values = Record<string, number | number[]>;

export type Settings = {
  cards: Record<string, Card>;
  constants: Record<string, Values>;
  detection: { box_step: number | null; fill: number; geometry: number; size_unit_px: number };
  hand: {
    joints: string[];
    parents: number[];
    knuckles: number[];
    sides: Side[];
    finger_colours: [number, number, number][];
  };
  decisions: Values;
  tracker: Values;
};

export type Side = "left" | "right";

let settings: Settings | undefined;

/** Take in the settings; to be done before anything else. */
export function tell(told: Settings): void {
  settings = told;
}

export function told(): Settings {
  if (!settings) throw new Error("the page has not been told its settings yet");
  return settings;
}

/** A constant of a module of Knuckle, by the name that it has there. */
export function constant(module: string, name: string): number {
  const value = told().constants[module]?.[name];
  if (typeof value !== "number") throw new Error(missing(`${module}.${name}`));
  return value;
}

/** The same of a row of numbers. */
export function constants(module: string, name: string): number[] {
  const value = told().constants[module]?.[name];
  if (!Array.isArray(value)) throw new Error(missing(`${module}.${name}`));
  return value;
}

/** A setting of the tracker, as it is by default. */
export function setting(name: string): number {
  return numberOf("tracker", name);
}

/** A number by which it is decided from frame to frame who is there (src/knuckle/track/decisions.py). */
export function decision(name: string): number {
  return numberOf("decisions", name);
}

function numberOf(kind: "tracker" | "decisions", name: string): number {
  const value = told()[kind][name];
  if (typeof value !== "number") throw new Error(missing(`${kind}.${name}`));
  return value;
}

function missing(name: string): string {
  return `expected the number ${name} in settings.json: this page was built for another Knuckle`;
}
