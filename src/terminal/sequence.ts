/** Whether the server has a frame whose acknowledgement was lost. */
export type Verdict = "stored" | "not stored" | "unclear";

/** What a {@linkcode SequenceLedger} knows, to be kept. */
export interface LedgerState {
  /** The first acknowledged frame: its number, and how many inputs had been numbered before. */
  first: { seq: number; inputs: number } | undefined;
  /** The last number. */
  last: number;
  /** Frames that were stored after the first one. */
  ours: number;
  /** What was learned of the control plane's numbering. */
  numbering: Numbering;
}

/** What is known of a control plane's numbering: all sessions learn it together. */
export interface Numbering {
  /** Whether what operators type is numbered too; undefined until that could be seen. */
  inputs?: boolean;
}

/**
 * Reads from the server's numbering of a session whether a frame was stored.
 *
 * Each stored `terminal.output` gets the next number; some control planes number what the
 * operator typed in the same row. So the numbers since the first acknowledged frame are split
 * into ours and others, and what was typed since explains the others.
 */
export class SequenceLedger {
  /**
   * The first acknowledged frame: its number, and how many inputs had been numbered before. As long
   * as there is none, the numbers are taken to start at 1.
   */
  #first: LedgerState["first"] = { seq: 0, inputs: 0 };
  #last = 0;
  /** Frames that were stored after the first one. */
  #ours = 0;
  readonly #numbering: Numbering;

  /** Makes one for a session; `numbering` is what the others have learned, `state` what it knew before. */
  constructor(numbering: Numbering = {}, state?: LedgerState) {
    this.#numbering = numbering;
    if (!state) return;
    if (state.numbering.inputs !== undefined) numbering.inputs ??= state.numbering.inputs;
    this.#first = state.first && { ...state.first };
    this.#last = state.last;
    this.#ours = state.ours;
  }

  /** What it knows now. */
  get state(): LedgerState {
    const numbering = { ...this.#numbering };
    return { first: this.#first, last: this.#last, ours: this.#ours, numbering };
  }

  /** Notes the acknowledgement of a frame that was sent when `inputs` had been received. */
  acknowledged(seq: number, inputs: number): void {
    if (this.#last === 0) this.restart();
    if (this.#first) this.#ours++;
    const first = this.#first ??= { seq, inputs };
    this.#last = seq;
    const others = this.#others(first.seq);
    const typed = inputs - first.inputs;
    if (others > 0) this.#numbering.inputs = true;
    else if (typed > 0) this.#numbering.inputs ??= false;
    // An input that came just behind the first frame may have been numbered just before it.
    if (others > 0 && typed > others) first.inputs += typed - others;
  }

  /**
   * Judges the frame that was sent after the last acknowledged one by the number `seq` of an
   * empty frame sent after it, and notes both. `inputs` have been received by now; `lostProbes`
   * empty frames were sent in between and not acknowledged either.
   */
  resolve(seq: number, inputs: number, lostProbes = 0): Verdict {
    const verdict = this.#judge(seq, inputs, lostProbes);
    if (verdict === "unclear") {
      this.restart();
    } else {
      this.#ours += verdict === "stored" ? 2 + lostProbes : 1;
      this.#last = seq;
    }
    return verdict;
  }

  /** Begins anew with the next acknowledgement: frames were sent that nobody can count. */
  restart(): void {
    this.#first = undefined;
    this.#ours = 0;
  }

  #judge(seq: number, inputs: number, lostProbes: number): Verdict {
    if (!this.#first) return "unclear";
    const unknown = seq - this.#last - 1;
    const typed = inputs - this.#first.inputs - this.#others(this.#first.seq);
    // Where the numbers start is no more than likely: nothing is learned from it.
    if (this.#last > 0 && unknown < typed) this.#numbering.inputs ??= false;
    const plain = verdictOn(unknown, lostProbes);
    const withInputs = verdictOn(unknown - Math.max(0, typed), lostProbes);
    const { inputs: numbered } = this.#numbering;
    if (numbered !== undefined) return numbered ? withInputs : plain;
    return plain === withInputs ? plain : "unclear";
  }

  #others(firstSeq: number): number {
    return this.#last - firstSeq - this.#ours;
  }
}

/** `numbers` were given that nothing else explains. */
function verdictOn(numbers: number, lostProbes: number): Verdict {
  if (numbers <= 0) return "not stored";
  return numbers === 1 + lostProbes ? "stored" : "unclear";
}
