/**
 * To be imported before any schema is made: none is compiled then. That takes longer than all that the
 * agent ever parses with them, at every start.
 *
 * @module
 */
import * as z from "@zod/zod";

z.config({ jitless: true });
