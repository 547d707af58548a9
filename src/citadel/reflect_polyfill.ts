/**
 * The polyfill without which tsyringe, a dependency of @peculiar/x509, throws. See x509.ts for why it has a module of its own.
 */
import "reflect-metadata";
