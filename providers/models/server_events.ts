/**
 * Server-sent events, as far as endpoints of models use them: the data of each, as text.
 * @module
 */

/** Turns bytes into the data of events; comments, names and ids are left out. */
export function eventsOf(): TransformStream<Uint8Array, string> {
  const decoder = new TextDecoder();
  let rest = "";
  let data: string[] = [];
  const read = (controller: TransformStreamDefaultController<string>, text: string): void => {
    rest += text;
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
      if (line !== "" || data.length === 0) continue;
      controller.enqueue(data.join("\n"));
      data = [];
    }
  };
  return new TransformStream({
    transform: (bytes, controller) => read(controller, decoder.decode(bytes, { stream: true })),
    flush: (controller) => read(controller, decoder.decode()),
  });
}
