// The ONNX files of the package, unchanged, in ONNX Runtime's WebAssembly. The only file that knows
// ONNX Runtime.

import * as ort from "onnxruntime-web/wasm";

/** A tensor: its numbers, row after row, and how many there are along each axis. */
export type Values = { data: Uint8Array | Float32Array; dims: readonly number[] };
/** What goes into a network or comes out of it, by name. */
export type Named = Record<string, Values>;
/** Gives the bytes of a network by its kind. */
export type Read = (kind: string) => Promise<Uint8Array>;

/** Whatever runs networks. */
export interface Engine {
  run(kind: string, inputs: Named): Promise<Named>;
}

/** Runs networks here: nothing else happens in this thread meanwhile. */
export class OwnEngine implements Engine {
  private constructor(private readonly sessions: Record<string, ort.InferenceSession>) {}

  static async open(kinds: readonly string[], threads: number, read: Read): Promise<OwnEngine> {
    ort.env.wasm.numThreads = threads;
    const sessions: Record<string, ort.InferenceSession> = {};
    for (const kind of kinds) {
      const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all" } as const;
      sessions[kind] = await ort.InferenceSession.create(await read(kind), options);
    }
    return new OwnEngine(sessions);
  }

  async run(kind: string, inputs: Named): Promise<Named> {
    const tensors: Record<string, ort.Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(inputs)) tensors[name] = new ort.Tensor(data, dims);
    const said = await this.sessions[kind].run(tensors);
    const pairs = Object.entries(said).map(([name, { data, dims }]) => [name, { data, dims }]);
    return Object.fromEntries(pairs) as Named;
  }
}

/** Say where ONNX Runtime's own files are; it takes addresses as they are, so they must be whole. */
export function runtimeIsAt(folder: string): void {
  ort.env.wasm.wasmPaths = folder;
}
