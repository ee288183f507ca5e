"""Whether the desk is well: health checks, the doctor, and the figures of Prometheus."""
