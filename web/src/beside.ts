// An engine in another thread, so that two hands are looked at side by side. ONNX Runtime's own
// threads wait for each other at every convolution, and turn in circles while they wait: beside a
// browser that is itself busy with the camera and with drawing, two of them are hardly faster than one.

import { OwnEngine, type Engine, type Named, type Read } from "./engine.js";

/** What an engine's thread is asked and says, each answer in its turn. */
type Ask = { kinds: readonly string[]; threads: number } | { kind: string; inputs: Named };
type Answer = { said: Named } | { failed: string };
/** One end of the line between two threads. */
export type Line = {
  postMessage(message: unknown, options: { transfer: Transferable[] }): void;
  onmessage: ((event: MessageEvent) => void) | null;
};

type Waiting = { resolve: (said: Named) => void; reject: (error: Error) => void };

/** Has networks run at the other end of a line. */
export class EngineBeside implements Engine {
  private readonly waiting: Waiting[] = [];

  private constructor(private readonly line: Line) {
    line.onmessage = ({ data }: MessageEvent<Answer>) => {
      const { resolve, reject } = this.waiting.shift() as Waiting;
      if ("said" in data) resolve(data.said);
      else reject(new Error(data.failed));
    };
  }

  static async open(kinds: readonly string[], threads: number, line: Line): Promise<EngineBeside> {
    const engine = new EngineBeside(line);
    await engine.ask({ kinds, threads });
    return engine;
  }

  run(kind: string, inputs: Named): Promise<Named> {
    return this.ask({ kind, inputs }, buffers(inputs));
  }

  private ask(message: Ask, transfer: Transferable[] = []): Promise<Named> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.line.postMessage(message, { transfer });
    });
  }
}

/** Run networks for whoever is at the other end. */
export function serve(line: Line, read: Read): void {
  let engine: OwnEngine;
  const answer = async (ask: Ask): Promise<Named> => {
    if ("inputs" in ask) return engine.run(ask.kind, ask.inputs);
    engine = await OwnEngine.open(ask.kinds, ask.threads, read);
    return {};
  };
  let last: Promise<void> = Promise.resolve();
  line.onmessage = ({ data }: MessageEvent<Ask>) => {
    last = last.then(async () => {
      try {
        const said = await answer(data);
        line.postMessage({ said } satisfies Answer, { transfer: buffers(said) });
      } catch (error) {
        const failed = error instanceof Error ? error.message : String(error);
        line.postMessage({ failed } satisfies Answer, { transfer: [] });
      }
    });
  };
}

function buffers(values: Named): Transferable[] {
  return Object.values(values).map(({ data }) => data.buffer as ArrayBuffer);
}
