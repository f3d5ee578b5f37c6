import * as z from "@zod/zod";

/** What is done to packages. */
export type Operation = "install" | "remove" | "purge";

/** What a package task asks for. */
export interface ChangeRequest {
  /** What to do; `purge: true` in a remove task makes it a purge. */
  operation: Operation;
  /** To which packages, each once, in the order of the payload; at least one. */
  names: string[];
}

interface Payload {
  names: string[];
  purge: boolean | null | undefined;
}

const NONE = "must name a package";

/** The payload of a change whose names are of this kind; they may arrive three times (contract: Types). */
export function ChangePayload(name: z.ZodType<string>): z.ZodType<Payload> {
  return z.looseObject({
    names: z.array(name).nullish(),
    packages: z.array(name).nullish(),
    package: z.union([z.literal(""), name]).nullish(),
    purge: z.boolean().nullish(),
  }).transform(({ names, packages, package: one, purge }, context) => {
    const all = new Set([...names ?? [], ...packages ?? [], ...(one ? [one] : [])]);
    if (all.size === 0) context.addIssue({ code: "custom", path: ["names"], message: NONE });
    return { names: [...all], purge };
  });
}

/** What a task of this operation asks for by its payload. */
export function requestOf(operation: Operation, { names, purge }: Payload): ChangeRequest {
  return { operation: operation === "remove" && purge ? "purge" : operation, names };
}
