import { openLibc, readKernelFile } from "./libc.ts";

/** Whether SELinux refuses what its policy does not allow: systemd gets no pipes from another domain. */
export function enforcesSelinux(): boolean {
  try {
    using libc = openLibc();
    return readKernelFile(libc, "/sys/fs/selinux/enforce").trim() === "1";
  } catch {
    return false;
  }
}
