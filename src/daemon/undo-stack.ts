type Undo = () => Promise<void> | void

/** What is to be ended, the last one first. */
export class UndoStack {
  private readonly steps: Undo[] = []
  private readonly failed: (error: unknown) => void

  /** `failed` hears of steps that did not end well; those after them are done all the same. */
  constructor(failed: (error: unknown) => void) {
    this.failed = failed
  }

  push(undo: Undo): void {
    this.steps.push(undo)
  }

  async run(): Promise<void> {
    for (let undo = this.steps.pop(); undo !== undefined; undo = this.steps.pop()) {
      try {
        await undo()
      } catch (error) {
        this.failed(error)
      }
    }
  }
}
