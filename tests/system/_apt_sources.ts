/** Where apt gets a distribution from. */
export interface Archive {
  uri: string;
  components: string[];
}

/**
 * The archive that apt's sources name for a suite such as `bookworm`: `listText` is of a `.list`
 * file (one line an archive), `deb822Text` of a `.sources` file (one paragraph an archive).
 */
export function archiveOf(
  suite: string,
  listText: string,
  deb822Text: string,
): Archive | undefined {
  const found = [...ofList(listText), ...ofDeb822(deb822Text)];
  return found.find(({ uri, suites }) => suites.includes(suite) && /^(https?|file):/.test(uri));
}

type Source = Archive & { suites: string[] };

/** `deb [option=value …] URI SUITE COMPONENT…` */
function ofList(text: string): Source[] {
  return [...text.matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$/gm)].map(
    ([, uri = "", suite = "", components = ""]) => {
      return { uri, suites: [suite], components: words(components) };
    },
  );
}

/** Paragraphs of `Field: value`, in which a line that begins with a blank goes on with a value. */
function ofDeb822(text: string): Source[] {
  const paragraphs = text.replaceAll(/^#.*\n/gm, "").split(/\n\s*\n/);
  return paragraphs.flatMap((paragraph) => {
    const field = (name: string) => {
      const value = new RegExp(`^${name}:(.*(?:\\n\\s.*)*)`, "mi").exec(paragraph)?.[1];
      return words(value ?? "");
    };
    if (!field("Types").includes("deb") || field("Enabled").includes("no")) return [];
    const [suites, components] = [field("Suites"), field("Components")];
    return field("URIs").map((uri) => ({ uri, suites, components }));
  });
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
