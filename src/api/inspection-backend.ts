import type { DropRow, Explanation, FdbRow, FlowFilter, FlowRow, NeighborRow, RouteRow } from './inspection-json.ts'

/** What the routes that look into the engine need behind them. Methods throw NetworkError. */
export interface InspectionBackend {
  flows(filter: FlowFilter, limit: number): Promise<FlowRow[]>
  routes(): Promise<RouteRow[]>
  neighbors(): Promise<NeighborRow[]>
  /** `network`: id or name; undefined: of all. */
  fdb(network: string | undefined): Promise<FdbRow[]>
  drops(): DropRow[]
  /** `from`: an endpoint's name, or `network/name`; `to`: the same or an address, with `:port[/protocol]` behind it or not. */
  explain(from: string, to: string): Promise<Explanation>
}
