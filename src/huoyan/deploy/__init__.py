"""Write configuration for Prometheus, Alertmanager and Grafana from signals and settings."""
