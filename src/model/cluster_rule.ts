/** Where a DestinationRule stands that says something of a cluster. */
export interface ClusterRule {
  /** `NAMESPACE/NAME`. */
  readonly name: string;
  /** Relative to the configuration directory. */
  readonly file: string;
  readonly line: number;
}
