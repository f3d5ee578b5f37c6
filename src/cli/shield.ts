import { keepDescriptors } from "../system/inherited_descriptors.ts";
import { messageOf } from "../system/user_error.ts";

/**
 * Keeps what the agent was started with from the children of a command that runs something for other
 * users. The C library stays open until the command is done: whatever needs it finds it open.
 */
export function shield(onProblem: (error: string) => void): Disposable | undefined {
  try {
    return keepDescriptors();
  } catch (error) {
    onProblem(messageOf(error));
    return undefined;
  }
}
