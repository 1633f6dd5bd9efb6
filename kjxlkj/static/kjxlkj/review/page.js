/* The scripts of the review pages. Everything can be done without them: forms and links lead the same ways. */

import "./clock.js";
import "./decide.js";
import "./edit.js";
import "./keys.js";
import "./parts.js";
import "./select.js";
import { firstPending } from "./cards.js";
import { handedOver } from "./store.js";

if (handedOver) firstPending()?.focus();
