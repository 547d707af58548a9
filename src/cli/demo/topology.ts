/** Who takes part in the tutorial mesh, and where: one loopback address for each, as if it were a machine of its own. */

export const DEMO_NAMESPACE = "tutorial";

/** Where the control plane listens. */
export const DEMO_CONTROL_PLANE = "127.0.0.9";

/** Port of every program, and of the services in front of them. */
export const DEMO_APP_PORT = 8080;

export interface DemoProgram {
  readonly name: string;
  readonly address: string;
  /** What it says of itself in the answer; empty: it passes on what it is told. */
  readonly says: string;
}

/** A program with a sidecar. */
export interface DemoWorkload extends DemoProgram {
  /** Service that the program calls; null: it answers itself. */
  readonly next: string | null;
}

/** In the order of a call. */
export const DEMO_WORKLOADS: readonly DemoWorkload[] = [
  { name: "ingress", address: "127.0.0.10", next: "customer", says: "" },
  { name: "customer", address: "127.0.0.11", next: "preference", says: "customer" },
  { name: "preference", address: "127.0.0.12", next: "recommendation", says: "preference" },
  { name: "recommendation-v1", address: "127.0.0.21", next: null, says: "recommendation v1" },
  { name: "recommendation-v2", address: "127.0.0.22", next: null, says: "recommendation v2" },
];

/** A program outside the mesh, without a sidecar: as far as the mesh is concerned, somewhere on the internet. */
export const DEMO_OUTSIDE: DemoProgram = { name: "weather", address: "127.0.0.20", says: "sunny" };

/** Where people call the mesh. */
const DEMO_ENTRY = DEMO_WORKLOADS[0] as DemoWorkload;

export function entryUrl(): string {
  return `http://${DEMO_ENTRY.address}:${DEMO_APP_PORT}/`;
}
