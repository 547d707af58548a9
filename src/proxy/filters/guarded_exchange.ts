/** A request to what policies guard: their verdict, and where one says so the question to somebody else. */
import type { Edge } from "../../telemetry/edge_metrics.ts";
import { type Authorizer, type CheckedBody, mayExceed, type Permission } from "../ext_authz/authorizer.ts";
import { PermissionRequest } from "../ext_authz/permission_request.ts";
import type { HeaderList, RequestHead, ServerStream } from "../exchange.ts";
import { extAuthzFailed, LOCAL_REPLY } from "../local_reply.ts";
import type { Verdict } from "../policy/compiled_rule.ts";
import type { PolicyCall } from "../policy/policy_call.ts";
import type { BoundPolicies } from "../policy/policy_table.ts";
import type { ExchangeContext } from "./exchange_context.ts";
import { HttpExchange } from "./http_exchange.ts";

/** What is asked of somebody, and what follows when it is allowed. */
interface Question {
  readonly authorizer: Authorizer;
  readonly edge: Edge;
  readonly then: () => void;
  readonly denied: () => void;
  /** Null: it waits for the body. */
  request: PermissionRequest | null;
}

export abstract class GuardedExchange extends HttpExchange {
  /** What policies say of it; null: none was asked. */
  #verdict: Verdict | null = null;
  #question: Question | null = null;
  /** Fields that were given along with the permission. */
  #answerFields: HeaderList | null = null;

  // Written down, since one that is left out passes its arguments on as a list: a microsecond of each request.
  constructor(context: ExchangeContext, stream: ServerStream, head: RequestHead, ended: boolean) {
    super(context, stream, head, ended);
  }

  protected override get verdict(): Verdict | null {
    return this.#verdict;
  }

  /** Whether policies let a connection in of which no request is read: nobody can be asked about it. */
  passesBytes(policies: BoundPolicies, call: PolicyCall): boolean {
    this.#verdict = policies.asks(call) ?? policies.decide(call);
    return this.#verdict.allowed;
  }

  /** Whether policies let the call in. */
  passes(policies: BoundPolicies, call: PolicyCall): boolean {
    this.#verdict = policies.decide(call);
    return this.#verdict.allowed;
  }

  /** Answers what the policies say that did not let it in. */
  refuse(edge: Edge): void {
    this.reply(this.#verdict?.reply ?? LOCAL_REPLY.rbacDenied, edge);
  }

  /**
   * Asks whether the request may go on; nothing follows if not. `verdict`: of the rule that says so. `denied` hears that
   * it may not, or that nobody could say so.
   */
  ask(
    verdict: Verdict,
    authorizer: Authorizer | null,
    edge: Edge,
    then: () => void,
    denied: () => void = nothing,
  ): void {
    this.#verdict = verdict;
    if (authorizer === null) {
      denied();
      return this.refuse(edge);
    }
    this.#question = { authorizer, edge, then, denied, request: null };
    this.countOn(edge);
    if (authorizer.settings.body === undefined || this.bodiless) return this.#send(null);
    const { bytesMax, partial } = authorizer.settings.body;
    if (!partial && mayExceed(this.head, bytesMax)) return this.reply(LOCAL_REPLY.checkedBodyTooLarge, edge);
    this.readOn();
    this.#sendWithBody();
  }

  override onRequestBody(chunk: Uint8Array): void {
    super.onRequestBody(chunk);
    if (this.#question !== null) this.#sendWithBody();
  }

  protected override onRequestComplete(): void {
    if (this.#question !== null) this.#sendWithBody();
  }

  protected override onFinished(): void {
    this.#question?.request?.cancel();
    this.#question = null;
  }

  protected override editAnswer(headers: HeaderList): void {
    if (this.#answerFields !== null) setFields(headers, this.#answerFields);
  }

  /** As soon as all of the body is there, or more than is looked at. */
  #sendWithBody(): void {
    const { authorizer, edge, request } = this.#question as Question;
    const { body: wanted } = authorizer.settings;
    if (request !== null || wanted === undefined) return;
    const bytes = this.body?.bytes ?? 0;
    if (bytes > wanted.bytesMax && !wanted.partial) return this.reply(LOCAL_REPLY.checkedBodyTooLarge, edge);
    if (this.context.replay.isFull) return this.reply(LOCAL_REPLY.tooManyRequests, edge);
    if (!this.requestEnded && bytes <= wanted.bytesMax) return;
    this.#send(this.#checkedBody(wanted.bytesMax));
  }

  #checkedBody(bytesMax: number): CheckedBody {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (const chunk of this.body?.chunks ?? []) {
      const part = chunk.subarray(0, bytesMax - bytes);
      bytes += part.length;
      if (part.length > 0) chunks.push(part);
    }
    return { chunks, bytes, partial: !this.requestEnded || bytes < (this.body?.bytes ?? 0) };
  }

  #send(body: CheckedBody | null): void {
    const question = this.#question as Question;
    this.hold();
    question.request = new PermissionRequest(
      this.context,
      question.authorizer,
      this.head,
      body,
      (permission) => this.#onPermission(permission),
    );
    question.request.send();
  }

  #onPermission(permission: Permission): void {
    const { authorizer: { settings }, edge, then, denied } = this.#question as Question;
    this.#question = null;
    if (permission.type === "allowed") {
      setFields(this.head.headers, permission.request);
      if (permission.answer.length > 0) this.#answerFields = permission.answer;
    } else if (permission.type === "denied" || settings.failOpen !== true) {
      denied();
      const denial = permission.type === "denied" ? permission.reply : extAuthzFailed(settings.statusOnError);
      return this.reply(denial, edge);
    }
    then();
  }
}

function nothing(): void {}

/** In place of those that are there by the same names. */
function setFields(headers: HeaderList, fields: HeaderList): void {
  const names = new Set(fields.filter((_, index) => index % 2 === 0));
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (names.has(headers[i] as string)) headers.splice(i, 2);
  }
  headers.push(...fields);
}
