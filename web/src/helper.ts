// The thread of an engine beside.

import { serve } from "./beside.js";
import { runtimeIsAt } from "./engine.js";
import { networkFile, ownFolder } from "./files.js";

runtimeIsAt(ownFolder);
serve(self, networkFile);
