variable "name" {
  description = "Prefix of everything made here."
  type        = string
  default     = "meterway"
}

variable "namespace" {
  description = "Kubernetes namespace of the release."
  type        = string
  default     = "meterway"
}

variable "vpc_id" {
  description = "Network of the cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in three availability zones: one broker each."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "Three copies of every topic need three subnets."
  }
}

variable "node_security_group_id" {
  description = "Security group of the cluster's nodes: the only one that reaches brokers and databases."
  type        = string
}

variable "oidc_provider_arn" {
  description = "IAM OIDC provider of the EKS cluster, for roles of service accounts."
  type        = string
}

variable "oidc_provider" {
  description = "The same provider's issuer, without https://."
  type        = string
}

variable "broker_type" {
  description = "MSK instance type."
  type        = string
  default     = "kafka.m7g.large"
}

variable "broker_storage_gib" {
  description = "Disk per broker. The raw and validated topics keep 7 days, the rejected 30."
  type        = number
  default     = 500
}

variable "aurora_max_capacity" {
  description = "Aurora capacity units at most: register and Iceberg catalog."
  type        = number
  default     = 8
}

variable "redshift_base_capacity" {
  description = "Redshift processing units to begin with."
  type        = number
  default     = 8
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
