/** Opens the citadel of the directory in argv[2] and enrols for ever; prints the serial of each certificate that it handed out. */
import { CART, newCsr, openLiveCitadel } from "./test_citadel.ts";

const dataDirectory = process.argv[2] as string;
console.log("started");
const citadel = await openLiveCitadel(dataDirectory);
console.log(`pin ${citadel.caPin}`);
const csr = await newCsr();
for (;;) {
  const { token } = await citadel.createToken(CART);
  const { serial } = await citadel.enrol({ token, csr });
  console.log(`serial ${serial}`);
}
