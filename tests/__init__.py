"""The tests: unit/ mirrors the source, contract/ runs a suite over many, integration/ has real servers, e2e/ Chromium."""
