variable "namespace" {
  description = "Namespace of everything."
  type        = string
  default     = "steam"
  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: small letters, digits and -, at most 63 characters."
  }
}

variable "create_namespace" {
  description = "Make the namespace, with restricted pod security; false where it is there, such as with Secrets of yours."
  type        = bool
  default     = true
}

variable "charts" {
  description = "Folder that holds the charts steam, steam-broker and steam-influxdb."
  type        = string
  validation {
    condition     = alltrue([for chart in ["steam", "steam-broker", "steam-influxdb"] : fileexists("${var.charts}/${chart}/Chart.yaml")])
    error_message = "charts: a folder with steam, steam-broker and steam-influxdb; in this project infra/charts."
  }
}

variable "values_folder" {
  description = "Folder with steam.yaml, steam-broker.yaml and steam-influxdb.yaml: values of the charts that the other inputs do not set, such as infra/values/edge; empty for none."
  type        = string
  default     = ""
  validation {
    condition     = var.values_folder == "" || alltrue([for chart in ["steam", "steam-broker", "steam-influxdb"] : fileexists("${var.values_folder}/${chart}.yaml")])
    error_message = "values_folder: a folder with steam.yaml, steam-broker.yaml and steam-influxdb.yaml."
  }
}

variable "image" {
  description = "Steam's images: <registry>/processor:<tag> and so on."
  type = object({
    registry = optional(string, "docker.io/steam-boilers")
    tag      = optional(string, "")
  })
  default = {}
}

variable "plant" {
  description = "The text of plant.yaml: sites, boilers, devices, alarms."
  type        = string
  validation {
    condition     = can(yamldecode(var.plant).sites)
    error_message = "plant: must be YAML with the key `sites`; `steam check` tells more."
  }
}

variable "settings" {
  description = "Added to steam.yaml, such as retention or notifications."
  type        = any
  default     = {}
  validation {
    condition     = try(length(setintersection(keys(var.settings), ["deployment", "plant", "data_dir", "amqp", "health"])) == 0, false)
    error_message = "settings: a map of settings; deployment, plant, data_dir, amqp and health are the chart's own."
  }
}

variable "secrets_revision" {
  description = "Raise it by one for new passwords; everything that uses them is restarted."
  type        = number
  default     = 1
  validation {
    condition     = var.secrets_revision >= 1 && floor(var.secrets_revision) == var.secrets_revision
    error_message = "secrets_revision: a whole number from 1."
  }
}

variable "broker_existing_secret" {
  description = "A Secret with the broker's passwords, instead of generated ones; its keys are the accounts' names and erlang-cookie. It must be there: see create_namespace."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)?$", var.broker_existing_secret))
    error_message = "broker_existing_secret: a Secret's name (small letters, digits, - and .), or empty."
  }
}

variable "influxdb_existing_secret" {
  description = "A Secret with InfluxDB's admin-password and token, instead of generated ones."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)?$", var.influxdb_existing_secret))
    error_message = "influxdb_existing_secret: a Secret's name (small letters, digits, - and .), or empty."
  }
}

variable "notifications_existing_secret" {
  description = "A Secret with the addresses that settings.notifications names by url_env."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?)?$", var.notifications_existing_secret))
    error_message = "notifications_existing_secret: a Secret's name (small letters, digits, - and .), or empty."
  }
}

variable "broker" {
  description = "RabbitMQ: nodes (1 or 3), storage of each and its class (null: as the values or the chart say), and whether simulated or foreign devices may connect."
  type = object({
    replicas           = optional(number, 1)
    storage            = optional(string)
    storage_class_name = optional(string)
    gateway            = optional(bool, false)
  })
  default = {}
  validation {
    condition     = contains([1, 3], var.broker.replicas)
    error_message = "broker.replicas: 1, or 3 for queues that outlive a node."
  }
  validation {
    condition     = var.broker.storage == null || can(regex("^[0-9]+(Mi|Gi|Ti)$", var.broker.storage))
    error_message = "broker.storage: such as 10Gi."
  }
}

variable "mqtt" {
  description = "How devices reach the broker from outside: over TLS with a Secret of type kubernetes.io/tls that also has ca.crt."
  type = object({
    load_balancer = optional(bool, false)
    tls_secret    = optional(string, "")
    source_ranges = optional(list(string), [])
  })
  default = {}
  validation {
    condition     = !var.mqtt.load_balancer || var.mqtt.tls_secret != ""
    error_message = "mqtt.load_balancer: needs mqtt.tls_secret; devices' passwords would cross the network in clear."
  }
  validation {
    condition     = alltrue([for range in var.mqtt.source_ranges : can(cidrhost(range, 0))])
    error_message = "mqtt.source_ranges: networks such as 198.51.100.0/24."
  }
}

variable "influxdb" {
  description = "InfluxDB: organization, storage and its class (null: as the values or the chart say)."
  type = object({
    organization       = optional(string, "steam")
    storage            = optional(string)
    storage_class_name = optional(string)
  })
  default = {}
  validation {
    condition     = var.influxdb.storage == null || can(regex("^[0-9]+(Mi|Gi|Ti)$", var.influxdb.storage))
    error_message = "influxdb.storage: such as 50Gi."
  }
}

variable "autoscaling" {
  description = "How many processors there are at least and at most (null: as the values or the chart say, 1 to 4)."
  type = object({
    enabled = optional(bool)
    minimum = optional(number)
    maximum = optional(number)
  })
  default = {}
  validation {
    condition     = 1 <= coalesce(var.autoscaling.minimum, 1) && coalesce(var.autoscaling.minimum, 1) <= coalesce(var.autoscaling.maximum, 4) && coalesce(var.autoscaling.maximum, 4) <= 4
    error_message = "autoscaling: 1 <= minimum <= maximum <= 4."
  }
}

variable "panel" {
  description = "The dashboard: language, replicas, and the name under which browsers reach it (empty: port-forward only)."
  type = object({
    language            = optional(string)
    replicas            = optional(number)
    host                = optional(string, "")
    ingress_class       = optional(string, "")
    ingress_annotations = optional(map(string), {})
    tls_secret          = optional(string, "")
  })
  default = {}
  validation {
    condition     = var.panel.language == null || contains(["pt-BR", "en"], coalesce(var.panel.language, "none"))
    error_message = "panel.language: pt-BR or en."
  }
  validation {
    condition     = contains([0, 1, 2, 3, 4], coalesce(var.panel.replicas, 1))
    error_message = "panel.replicas: 0 to 4."
  }
  validation {
    condition     = var.panel.tls_secret == "" || var.panel.host != ""
    error_message = "panel.tls_secret: needs panel.host, the name that the certificate is for."
  }
}

variable "simulated_devices" {
  description = "Run simulated boilers for the devices of plant.yaml, to try Steam."
  type        = bool
  default     = false
}

variable "cron_jobs" {
  description = "Roll-up repair and backup by the clock."
  type        = bool
  default     = true
}

variable "metrics_server" {
  description = "Install metrics-server, which the autoscaler asks, where the cluster has none; kubelet_insecure_tls where kubelets sign their certificates themselves, as in kind."
  type = object({
    install              = optional(bool, false)
    kubelet_insecure_tls = optional(bool, false)
    chart_version        = optional(string, "3.13.1")
  })
  default = {}
  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.metrics_server.chart_version))
    error_message = "metrics_server.chart_version: such as 3.13.1."
  }
}

variable "node_count" {
  description = "How many nodes the cluster has at least, where that is known."
  type        = number
  default     = null
  validation {
    condition     = var.node_count == null ? true : var.node_count >= 1 && floor(var.node_count) == var.node_count
    error_message = "node_count: a whole number from 1."
  }
}
