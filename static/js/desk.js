// What every page needs. One module for each behaviour; pages work without any of them.
import "./live.js";
import "./times.js";
import "./dialog.js";
import "./forms.js";
import "./announce.js";
