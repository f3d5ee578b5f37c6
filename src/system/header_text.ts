import * as z from "@zod/zod";

/** An id or a token: it travels in an HTTP header, so it is visible ASCII without spaces. */
export const HeaderText = z.string().regex(
  /^[!-~]+$/,
  "must be text of visible ASCII characters without spaces",
);
