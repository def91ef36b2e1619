"""The night's assets, one module a stage, in the order of the flow."""
