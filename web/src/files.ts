// Files beside the page, for its workers.

/** Where they are: the workers' own folder. */
export const ownFolder = new URL("./", self.location.href).href;

export async function fetched(place: string): Promise<Response> {
  const response = await fetch(new URL(place, ownFolder));
  if (!response.ok) throw new Error(`expected ${place} beside the page, got ${response.status}`);
  return response;
}

export async function networkFile(kind: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetched(`weights/${kind}.onnx`)).arrayBuffer());
}
