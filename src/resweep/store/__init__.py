"""The run store: what a run is called, who may advance it, and what it can be asked for."""
