import * as z from "@zod/zod";
import { Health } from "./verdict.ts";

const Time = z.iso.datetime();

/** What a task has used so far; what the machine does not count is left out. */
export const TaskUsage = z.object({
  /** Time of processors, in milliseconds. */
  cpuMs: z.number().optional(),
  /** The most memory at a time that was seen, in bytes. */
  memoryBytes: z.number().optional(),
  /** The most processes and threads at a time that were seen. */
  pids: z.number().optional(),
});
/** What a task has used so far. */
export type TaskUsage = z.infer<typeof TaskUsage>;

const Calls = z.object({
  /** How many were answered. */
  answers: z.int(),
  /** How many were not, or were refused. */
  failures: z.int(),
  /** When the last answer came. */
  answeredAt: Time.optional(),
  /** Whether the last one failed. */
  failing: z.boolean(),
  /** When one failed last, and why. */
  lastFailure: z.object({ at: Time, why: z.string() }).optional(),
});

/** What the running agent says of itself on its socket, at `/status`. */
export const AgentStatus = z.object({
  /** The agent's version. */
  version: z.string(),
  /** Its process. */
  pid: z.int(),
  /** What it is at. */
  phase: z.enum(["waiting for approval", "running", "stopping"]),
  /** When it was started. */
  startedAt: Time,
  /** Who it is to the control plane; not there before the enrollment is approved. */
  nodeId: z.string().optional(),
  /** The control plane's address. */
  apiUrl: z.string(),
  /** How it is; agents before 2.1 do not say. */
  health: Health.optional(),
  /** What is wrong, as {@linkcode Health} has it; not there where nothing is. */
  notReady: z.string().optional(),
  /** Whether the control plane answers. */
  controlPlaneAnswers: z.boolean(),
  /** The calls that keep the node online. */
  heartbeats: Calls,
  /** The calls that ask for tasks. */
  claims: Calls,
  /** The realtime session. */
  realtime: z.object({
    enabled: z.boolean(),
    connected: z.boolean(),
    /** Since when it is connected, or is not. */
    since: Time.optional(),
    /** Why it is not. */
    problem: z.string().optional(),
  }),
  /** Tasks. */
  tasks: z.object({
    running: z.array(z.object({
      id: z.string(),
      type: z.string(),
      since: z.string(),
      /** What it has used so far, where tasks run in units. */
      used: TaskUsage.optional(),
    })),
    /** How many have ended, but are not all reported yet. */
    reporting: z.int(),
    /** How many have ended since the start, by outcome. */
    ended: z.object({
      success: z.int(),
      failed: z.int(),
      cancelled: z.int(),
      timeout: z.int(),
    }),
    /** Output that is not delivered yet, in UTF-16 units: about as many bytes. */
    backlogBytes: z.int(),
  }),
  /** How many terminals are open. */
  terminals: z.int(),
  /** The root access profile that is in force; not there where none was ever wished. */
  rootAccess: z.string().optional(),
  /** The user of tasks and terminals; not there where it is the agent's own. */
  runAsUser: z.string().optional(),
  /** Where tasks run, and why they do so as children of the agent. */
  isolation: z.object({ tasks: z.enum(["unit", "child"]), why: z.string().optional() }).optional(),
  /** The keys of the configuration whose new values wait for a restart. */
  needsRestart: z.array(z.string()),
  /** The configuration file. */
  configFile: z.string(),
  /** Where the agent keeps what it must remember. */
  stateFolder: z.string(),
});
/** What the running agent says of itself. */
export type AgentStatus = z.infer<typeof AgentStatus>;
