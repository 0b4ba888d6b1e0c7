"""The model families that can be exported, a package each; `shared` is for several, `catalogue` lists all models."""
