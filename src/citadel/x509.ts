/**
 * The one way to @peculiar/x509, behind the polyfill that it needs: imported directly for the runtime, which runs CommonJS
 * as it meets it, and through a module of ours for the bundler, which runs CommonJS last. It costs some 20 MB of memory,
 * which is why only the control plane loads it.
 */
import "reflect-metadata";
import "./reflect_polyfill.ts";

export {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
