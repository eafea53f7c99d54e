variable "namespace" {
  description = "Namespace of everything; made by this module."
  type        = string
  default     = "steam"
  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: small letters, digits and -, at most 63 characters."
  }
}

variable "charts" {
  description = "Folder that holds the charts steam, steam-broker and steam-influxdb."
  type        = string
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
  description = "A Secret with the broker's passwords, instead of generated ones; its keys are the accounts' names and erlang-cookie."
  type        = string
  default     = ""
}

variable "influxdb_existing_secret" {
  description = "A Secret with InfluxDB's admin-password and token, instead of generated ones."
  type        = string
  default     = ""
}

variable "notifications_existing_secret" {
  description = "A Secret with the addresses that settings.notifications names by url_env."
  type        = string
  default     = ""
}

variable "broker" {
  description = "RabbitMQ: nodes (1 or 3), storage of each, and whether simulated devices may connect."
  type = object({
    replicas           = optional(number, 1)
    storage            = optional(string, "10Gi")
    storage_class_name = optional(string, "")
    gateway            = optional(bool, false)
  })
  default = {}
  validation {
    condition     = contains([1, 3], var.broker.replicas)
    error_message = "broker.replicas: 1, or 3 for queues that outlive a node."
  }
  validation {
    condition     = can(regex("^[0-9]+(Mi|Gi|Ti)$", var.broker.storage))
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
  description = "InfluxDB: organization and storage."
  type = object({
    organization       = optional(string, "steam")
    storage            = optional(string, "50Gi")
    storage_class_name = optional(string, "")
  })
  default = {}
  validation {
    condition     = can(regex("^[0-9]+(Mi|Gi|Ti)$", var.influxdb.storage))
    error_message = "influxdb.storage: such as 50Gi."
  }
}

variable "autoscaling" {
  description = "How many processors there are at least and at most."
  type = object({
    enabled = optional(bool, true)
    minimum = optional(number, 1)
    maximum = optional(number, 4)
  })
  default = {}
  validation {
    condition     = 1 <= var.autoscaling.minimum && var.autoscaling.minimum <= var.autoscaling.maximum && var.autoscaling.maximum <= 4
    error_message = "autoscaling: 1 <= minimum <= maximum <= 4."
  }
}

variable "panel" {
  description = "The dashboard: language, replicas, and the name under which browsers reach it (empty: port-forward only)."
  type = object({
    language      = optional(string, "pt-BR")
    replicas      = optional(number, 1)
    host          = optional(string, "")
    ingress_class = optional(string, "")
    tls_secret    = optional(string, "")
  })
  default = {}
  validation {
    condition     = contains(["pt-BR", "en"], var.panel.language)
    error_message = "panel.language: pt-BR or en."
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

variable "node_count" {
  description = "How many nodes the cluster has, where that is known."
  type        = number
  default     = null
}
