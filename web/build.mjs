// Builds the page: node build.mjs FOLDER. Beside it come ONNX Runtime's own two files, as they are.

import { copyFile, mkdir, rm } from "node:fs/promises";

import { build } from "esbuild";

const out = process.argv[2];
await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const options = { bundle: true, minify: true, format: "esm", target: "es2022", logLevel: "warning" };
const threads = ["src/page.ts", "src/worker.ts", "src/helper.ts"];
await build({ ...options, entryPoints: threads, outdir: out, splitting: true });
// The code of the page without a browser, for the tests.
await build({
  ...options,
  entryPoints: ["test/track.ts"],
  outExtension: { ".js": ".mjs" },
  platform: "node",
  packages: "external",
  outdir: "build",
});
for (const name of ["index.html", "page.css"]) await copyFile(`static/${name}`, `${out}/${name}`);
for (const name of ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]) {
  await copyFile(`node_modules/onnxruntime-web/dist/${name}`, `${out}/${name}`);
}
