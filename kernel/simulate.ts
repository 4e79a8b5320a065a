/**
 * Simulators: models of a world, which say what actions would do before anybody acts.
 * @module
 */

import type { Json } from "./json.ts";
import type { ModelMessage, ModelReply } from "./world.ts";

/** Something that might be done. */
export interface SupposedAction {
  /** What, in the words of the simulator: a call's name, a key, a command to a robot. */
  readonly action: string;
  /** What with. */
  readonly args?: Json;
  /** When, from the beginning. */
  readonly atMs?: number;
}

/** What a simulator is asked. */
export interface SimulationRequest {
  /** How things stand, in words and with objects. */
  readonly state: ModelMessage & { readonly role: "user" | "system" };
  /** In order. */
  readonly actions: readonly SupposedAction[];
  /** The same for every attempt at the same call. */
  readonly idempotencyKey: string;
}

/** What would happen. It is a guess, and nothing has happened. */
export interface Simulation extends Partial<Pick<ModelReply, "inputTokens" | "outputTokens">> {
  /** In words. */
  readonly outcome: string;
  /** How things would stand, as a value. */
  readonly value?: Json;
  /** 0 to 1, where the simulator says. */
  readonly likelihood?: number;
  /** Cost in US dollars, where the simulator says. */
  readonly usd?: number;
}

/** A world model. Errors: those of a model. It acts on nothing. */
export interface Simulator {
  /** `provider/model`, the resource of `model.simulate`. */
  readonly id: string;
  /** Media types it takes, such as `image/*`; none when absent. */
  readonly takes?: readonly string[];
  /** Makes one attempt. */
  simulate(
    request: SimulationRequest,
    asking: { readonly signal: AbortSignal },
  ): Promise<Simulation>;
}
