/** Answers of /netloom/nat, routes, neighbors, fdb, drops and explain. */
export type { ExplainHop, Explanation } from '../network/explain.ts'
export type { DropRow, FdbRow, FlowEnd, FlowFilter, FlowRow, NeighborRow, RouteRow } from '../network/inspection.ts'
