/**
 * Whether this process has a file open, by whatever descriptor: the number of one that was closed may
 * have been given to a test that runs beside.
 */
export async function isOpen(path: string): Promise<boolean> {
  const args = ["-c", 'ls -l "/proc/$1/fd" | grep -qF -e "-> $2"', "sh", `${Deno.pid}`, path];
  return (await new Deno.Command("/bin/sh", { args, stderr: "null" }).output()).success;
}
