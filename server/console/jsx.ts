/**
 * What elements are made by, for every file of the bundle: see `build.ts`. It is loaded first.
 * @module
 */

import { Fragment, h } from "preact";

Object.assign(globalThis, { h, F: Fragment });
