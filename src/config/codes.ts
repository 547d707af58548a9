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
  /** A destination among several whose weight 0 takes it out, or the weight of one alone, which is ignored. */
  weightWithoutEffect: "BOW0011",
  /** A VirtualService for a service of the mesh that sidecars do not heed, since its gateways leave out `mesh`. */
  meshLeftOut: "BOW0012",
  /** A block of retries without attempts, which switches retries off. */
  retriesOff: "BOW0013",
  /** A fault without a percentage, which is 0. */
  faultWithoutPercentage: "BOW0014",
  /** A fault beside a timeout or retries, which are off in a rule with faults. */
  faultWithoutTimeout: "BOW0015",
  /** A setting for locality without outlier detection, which alone makes it fail over. */
  failoverWithoutDetection: "BOW0016",
  /** A subset with a policy of its own that no route names. */
  subsetPolicyUnused: "BOW0017",
  /** A DestinationRule that hides subsets which another namespace defines for the same host. */
  subsetsHidden: "BOW0018",
  /** A second DestinationRule for a host and namespace whose policy, or subset, is ignored. */
  destinationRuleIgnored: "BOW0019",
  /** A second resource of a kind of which only one holds. */
  onlyOneHolds: "BOW0020",
  /** A VirtualService without hosts that nothing delegates to. */
  delegateUnused: "BOW0021",
  /** Outlier detection whose maxEjectionPercent is less than one endpoint. */
  ejectsNobody: "BOW0022",
  /** A rule of a delegate that delegation drops: it asks for what the rule that delegates does not let through. */
  delegateDropped: "BOW0030",
  /** A rule about HTTP in a policy that also selects workloads with ports of TCP. */
  policyNeedsHttp: "BOW0031",
  /** A rule of a policy that asks for a token, for workloads where none is verified. */
  policyNeedsToken: "BOW0032",
  /** A MeshConfig with the trust domain of another mesh. */
  foreignTrustDomain: "BOW0034",
  /** A path with a query in a match, which is compared without one. */
  queryInPath: "BOW0040",
  /** `ignoreUriCase` beside a regex, or beside no path. */
  uriCaseKept: "BOW0041",
  /** The name of a header in a match that is not in lower case. */
  headerCase: "BOW0042",
  /** The share of a mirror that is not there. */
  mirrorMissing: "BOW0043",
  /** Settings of a port that leave out settings for all ports, which then do not hold there. */
  portInheritsNothing: "BOW0044",
  /** A timeout of each attempt that is as long as that of the whole request. */
  attemptsOutlast: "BOW0045",
  /** A VirtualService that routes a host of another namespace for others than its own callers. */
  foreignHost: "BOW0046",
  /** Rules about requests for a host whose ports carry bytes. */
  rulesForBytes: "BOW0047",
  /** A match for a port that none of the hosts has. */
  matchPortUnknown: "BOW0048",
  /** A setting of what is sent on, in a rule that redirects or answers. */
  settingOfAnswer: "BOW0049",
  /** Warming up with a balancer that knows no weights. */
  warmupIgnored: "BOW0050",
  /** What is said to endpoints without a sidecar alone, of a host whose endpoints have one. */
  unsaidToSidecars: "BOW0051",
  /** TLS, or none, that leaves the mesh's own out towards endpoints with a sidecar. */
  pastSidecars: "BOW0052",
  /** Mutual TLS of the mesh towards endpoints without a sidecar. */
  mutualWithoutSidecar: "BOW0053",
  /** A policy about requests for ports of bytes, or about bytes for ports of requests. */
  policyOfOtherSpeech: "BOW0054",
  /** A policy for a port that the host has not. */
  policyPortUnknown: "BOW0055",
  /** Outlier detection that never ejects anybody. */
  countsWithoutEffect: "BOW0056",
  /** A setting that another one beside it makes void. */
  settingOutdone: "BOW0057",
  /** A condition of retries that never holds. */
  conditionWithoutEffect: "BOW0058",
  /** A condition about the caller in a rule for gateways alone. */
  sourceAtGateway: "BOW0059",
  /** Labels of callers of which there are none. */
  sourceUnknown: "BOW0060",
  /** Rules about bytes for a host whose ports carry requests, or about TLS for one without. */
  bytesForRules: "BOW0061",
  /** A match for a gateway that the VirtualService is not for. */
  matchGatewayLeftOut: "BOW0062",
  /** A VirtualService for a host that nothing has. */
  virtualServiceHostUnknown: "BOW0063",
  /** A regex without any operator. */
  regexWord: "BOW0064",
  /** Rules of a kind that no server of the gateways follows. */
  rulesOfNoServer: "BOW0065",
  /** A port of a workload by a name that no service has. */
  workloadPortUnknown: "BOW0066",
  /** A Sidecar's `egress` for a port that none of its hosts has. */
  egressPortUnknown: "BOW0067",
  /** A Sidecar whose `ingress` leaves out a port of its workloads to which a service leads. */
  ingressLeftOut: "BOW0068",
  /** TLS of a Sidecar's `ingress` for a port whose mutual TLS is not off. */
  ingressTlsIgnored: "BOW0069",
  /** A port of a Sidecar's own for bytes that several services have. */
  doorForSeveral: "BOW0070",
  /** Outlier detection that keeps callers to their own region. */
  localityImplied: "BOW0071",
  /** A server of a Gateway with hosts that no VirtualService has. */
  serverWithoutRules: "BOW0072",
  /** Calls without the mesh's mutual TLS to endpoints that refuse what is not. */
  plainToStrict: "BOW0073",
  /** A port of a Gateway or a Sidecar that the proxy itself has. */
  ownPort: "BOW0074",
  /** A condition of a match that no request meets. */
  neverMet: "BOW0075",
  /** A CORS policy that allows no origin. */
  corsWithoutOrigin: "BOW0076",
  /** Istio's ReferencedResourceNotFound: a host, a subset, a gateway or a delegate that nothing defines. */
  referenceNotFound: "IST0101",
  /** Istio's SchemaValidationError: a value of the wrong type, out of range, missing, or at odds with another. */
  schema: "IST0106",
  /** Istio's ConflictingMeshGatewayVirtualServiceHosts. */
  conflictingHosts: "IST0109",
  /** Istio's ConflictingSidecarWorkloadSelectors. */
  conflictingSidecars: "IST0110",
  /** Istio's MultipleSidecarsWithoutWorkloadSelectors. */
  severalDefaultSidecars: "IST0111",
  /** Istio's VirtualServiceDestinationPortSelectorRequired. */
  portRequired: "IST0112",
  /** Istio's PortNameIsNotUnderNamingConvention. */
  portName: "IST0118",
  /** Istio's NoMatchingWorkloadsFound. */
  noWorkloads: "IST0127",
  /** Istio's NoServerCertificateVerificationDestinationLevel. */
  serverNotVerified: "IST0128",
  /** Istio's NoServerCertificateVerificationPortLevel. */
  serverNotVerifiedAtPort: "IST0129",
  /** Istio's VirtualServiceUnreachableRule. */
  unreachableRule: "IST0130",
  /** Istio's VirtualServiceIneffectiveMatch. */
  ineffectiveMatch: "IST0131",
  /** Istio's VirtualServiceHostNotFoundInGateway. */
  hostNotInGateway: "IST0132",
  /** Istio's ServiceEntryAddressesRequired. */
  addressesRequired: "IST0134",
  /** Istio's GatewayDuplicateCertificate. */
  sharedCertificate: "IST0138",
  /** Istio's IngressRouteRulesNotAffected. */
  ingressSubsets: "IST0140",
  /** Istio's ConflictingGateways. */
  conflictingGateways: "IST0145",
  /** Istio's JwtClaimBasedRoutingWithoutRequestAuthN. */
  claimsUnverified: "IST0149",
  /** Istio's IneffectivePolicy. */
  ineffectivePolicy: "IST0167",
  /** Istio's DestinationRuleSubsetNotSelectPods. */
  subsetSelectsNothing: "IST0173",
  /** Istio's UnknownDestinationRuleHost. */
  unknownDestinationRuleHost: "IST0174",
  /** A host with one port and two protocols. */
  protocolConflict: "IST0177",
} as const;
