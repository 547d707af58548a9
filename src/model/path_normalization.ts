/** The form in which requests are routed, judged and sent on (MeshConfig `pathNormalization`); MERGE_SLASHES where nothing is said. */
export type PathNormalization = "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";
