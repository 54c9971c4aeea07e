resource "aws_kms_key" "main" {
  description         = "Meterway: topics, lake, live state, databases"
  enable_key_rotation = true
  tags                = var.tags
}

resource "aws_cloudwatch_log_group" "brokers" {
  name              = "/${var.name}/brokers"
  retention_in_days = 30
  tags              = var.tags
}

# Topics are made by `meterway topics apply`, never by a producer's mistake. Unclean election would lose what was acknowledged.
resource "aws_msk_configuration" "main" {
  name              = var.name
  server_properties = <<-EOT
    auto.create.topics.enable=false
    allow.everyone.if.no.acl.found=false
    default.replication.factor=3
    min.insync.replicas=2
    unclean.leader.election.enable=false
    message.max.bytes=9437184
    replica.fetch.max.bytes=9437184
  EOT
}

resource "aws_msk_cluster" "main" {
  cluster_name           = var.name
  kafka_version          = "3.9.x"
  number_of_broker_nodes = 3
  tags                   = var.tags

  broker_node_group_info {
    instance_type   = var.broker_type
    client_subnets  = slice(var.subnet_ids, 0, 3)
    security_groups = [aws_security_group.store["kafka"].id]
    storage_info {
      ebs_storage_info { volume_size = var.broker_storage_gib }
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.main.arn
    revision = aws_msk_configuration.main.latest_revision
  }

  # SCRAM: the services' client has no callback for IAM tokens (see deploy/helm/meterway/examples/msk.yaml).
  client_authentication {
    sasl { scram = true }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = aws_kms_key.main.arn
    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  open_monitoring {
    prometheus {
      jmx_exporter { enabled_in_broker = true }
      node_exporter { enabled_in_broker = true }
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.brokers.name
      }
    }
  }
}
