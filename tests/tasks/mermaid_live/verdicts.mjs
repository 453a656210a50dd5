// Reads a JSON array of texts from standard input; writes, for each, whether Mermaid takes it for
// an ER diagram: [verdict, reason]. No browser: jsdom stands in for the document.
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<!doctype html><html><body></body></html>");
globalThis.window = window;
globalThis.document = window.document;
globalThis.DOMParser = window.DOMParser;
console.log = console.info = console.debug = console.warn = console.error = () => {};

const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false });

const verdicts = [];
for (const text of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const { diagramType } = await mermaid.parse(text);
    verdicts.push([diagramType === "er", diagramType]);
  } catch (error) {
    verdicts.push([false, String(error.message ?? error).slice(0, 200)]);
  }
}
process.stdout.write(JSON.stringify(verdicts));
