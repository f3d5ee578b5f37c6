import type { UnitProperty, UnitState } from "../system/service_manager.ts";
import { BusClosedError } from "../system/bus_message.ts";
import { BusError } from "../system/sd_bus.ts";

/** systemd with one unit of one process, as far as a host asks it. */
export class FakeSystemd {
  /** The signals that the processes of the unit got. */
  readonly signals: number[] = [];
  /** The units whose stop was asked for. */
  readonly stopped: string[] = [];
  /** What the unit was started with. */
  properties: readonly UnitProperty[] = [];
  /** The units that it lists. */
  listed: string[] = [];
  /** The job of the service. */
  job: string | undefined;
  /** Whether the unit has a process. */
  isRunning = false;
  /** Whether systemd can be reached. */
  isInReach = true;
  /** How many of the next looks at a property are not answered. */
  unanswered = 0;
  /** The units that are there already. */
  readonly there = new Set<string>();
  /** Whether it starts nothing. */
  refuses = false;
  /** Hears when a unit was started. */
  onStart = () => {};
  /** Hears when a stop is asked for. */
  onStop = () => {};
  #state = "inactive";
  #end = [0, 0];
  readonly #watchers = new Set<() => void>();

  /** Lets the unit run. */
  begin(): void {
    this.isRunning = true;
    this.#state = "active";
    this.#end = [0, 0];
  }

  /** Ends the main process: by exit code, or by signal. */
  end({ code = 0, signal = 0 }: { code?: number; signal?: number }): void {
    this.isRunning = false;
    this.#end = signal > 0 ? [2, signal] : [1, code];
    for (const tell of this.#watchers) tell();
  }

  startTransient(unit: string, properties: readonly UnitProperty[]): Promise<string> {
    if (this.there.has(unit)) {
      return Promise.reject(new BusError("org.freedesktop.systemd1.UnitExists", "it exists"));
    }
    if (this.refuses) return Promise.reject(new BusError("", "it is masked"));
    this.properties = properties;
    this.begin();
    this.onStart();
    return Promise.resolve("done");
  }

  stop(unit: string): Promise<string> {
    return this.queueStop(unit).then(() => "done");
  }

  queueStop(unit: string): Promise<void> {
    this.stopped.push(unit);
    this.there.delete(unit);
    this.onStop();
    return Promise.resolve();
  }

  /** Resolves when the stop of a unit has been asked for. */
  async stopOf(unit: string): Promise<void> {
    while (!this.stopped.includes(unit)) await new Promise<void>((done) => this.onStop = done);
  }

  property(_unit: string, _face: string, name: string): Promise<number | string> {
    if (this.unanswered > 0) {
      this.unanswered--;
      return Promise.reject(new BusClosedError("not answered"));
    }
    const [code = 0, status = 0] = this.#end;
    // Some process that is there.
    const main = { ExecMainPID: Deno.pid, ExecMainCode: code, ExecMainStatus: status };
    const group = { ControlGroup: this.isRunning ? "/fake.slice/unit" : "" };
    const all = { ...main, ...group, ActiveState: this.#state };
    return Promise.resolve(new Map<string, number | string>(Object.entries(all)).get(name) ?? "");
  }

  jobType(): Promise<string | undefined> {
    return Promise.resolve(this.job);
  }

  units(): Promise<UnitState[]> {
    const state = { load: "loaded", active: this.#state, sub: "" };
    return Promise.resolve(this.listed.map((name) => ({ name, ...state })));
  }

  processes(): Promise<number[]> {
    if (!this.isInReach) return Promise.reject(new BusClosedError("away"));
    return Promise.resolve(this.isRunning ? [4_000_000] : []);
  }

  kill(_unit: string, _who: string, signal: number): Promise<void> {
    if (!this.isInReach) return Promise.reject(new BusClosedError("away"));
    this.signals.push(signal);
    if (this.isRunning) this.end({ signal });
    return Promise.resolve();
  }

  setProperties(_unit: string, properties: readonly UnitProperty[]): Promise<void> {
    this.properties = [...this.properties, ...properties];
    return Promise.resolve();
  }

  watch(_unit: string, onChange: () => void): Disposable {
    this.#watchers.add(onChange);
    return { [Symbol.dispose]: () => void this.#watchers.delete(onChange) };
  }
}
