/**
 * All that plain `deno test` finds (`test.include` in deno.json): the tests need permissions, which
 * the tasks grant.
 *
 * @module
 */

// deno-lint-ignore no-console
console.error("Run `deno task test` or `deno task test FILE …`: it grants what the tests need.");
Deno.exit(1);
