/** The tutorial's resources, built into the executable, so that the demo needs nothing but itself. */
import recommendation from "../../../config/tutorial/recommendation.yaml" with { type: "text" };
import services from "../../../config/tutorial/services.yaml" with { type: "text" };
import workloads from "../../../config/tutorial/workloads.yaml" with { type: "text" };

/** File name -> content. */
export const TUTORIAL_FILES: Readonly<Record<string, string>> = {
  "recommendation.yaml": recommendation as unknown as string,
  "services.yaml": services as unknown as string,
  "workloads.yaml": workloads as unknown as string,
};
