/** The line of a page that says where it is made from. */
export function writtenFrom(source: string): string {
  return `<!-- Written by \`deno task generate\` from ${source}: change it there. -->`;
}
