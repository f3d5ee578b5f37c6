/** No answer that is looked at in this way needs to be longer. */
const MAX_CHARACTERS = 10_000;

/** The beginning of an answer's text: what answers may be anything, and is not read to its end. */
export async function readStart({ body }: Response): Promise<string> {
  let text = "";
  for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_CHARACTERS) break;
  }
  return text;
}
