/**
 * The codes of findings. Scripts and people search for them, so a code keeps its meaning for ever and is never used
 * again for another. `IST` codes are Istio's, where the meaning is equal; `BOW` codes are bowline's own.
 */
export const CODES = {
  /** The text is not YAML, or not YAML that can stand for a resource (a list at the top, an unresolved alias). */
  yamlSyntax: "BOW0001",
  /** A file is larger, deeper or expands to more than bowline reads. */
  limitExceeded: "BOW0002",
  /** A field that neither Istio nor bowline knows. */
  unknownField: "BOW0003",
  /** A field of Istio's that this version of bowline does not implement. */
  unimplementedField: "BOW0004",
  /** A value that Istio accepts in a field that bowline has, and bowline does not. */
  unimplementedValue: "BOW0005",
  /** A kind that neither Istio nor bowline knows, or none at all. */
  unknownKind: "BOW0006",
  /** A kind of Istio's that this version of bowline does not implement. */
  unimplementedKind: "BOW0007",
  /** A known kind in an API version that it does not have. */
  wrongApiVersion: "BOW0008",
  /** Two documents describe one resource. */
  duplicateResource: "BOW0009",
  /** A file or a directory could not be read. */
  unreadable: "BOW0010",
  /** Istio's ReferencedResourceNotFound: a host or a subset that nothing defines. */
  referenceNotFound: "IST0101",
  /** Istio's SchemaValidationError: a value of the wrong type, out of range, missing, or at odds with another. */
  schema: "IST0106",
  /** Istio's ConflictingMeshGatewayVirtualServiceHosts. */
  conflictingHosts: "IST0109",
  /** Istio's VirtualServiceDestinationPortSelectorRequired. */
  portRequired: "IST0112",
  /** Istio's UnknownDestinationRuleHost. */
  unknownDestinationRuleHost: "IST0174",
} as const;
