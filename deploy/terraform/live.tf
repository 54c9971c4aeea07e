# The tables that the services would make for a demonstration (create_tables), with what an installation wants beside.
locals {
  tables = {
    device_status = {
      keys    = ["pk"]
      strings = ["pk"]
      numbers = []
      indexes = {}
      expires = false
    }
    alerts = {
      keys    = ["tenant_id", "alert_id"]
      strings = ["tenant_id", "alert_id", "open_tenant", "device_key"]
      numbers = ["opened_at"]
      indexes = {
        open_by_tenant = "open_tenant"
        by_device      = "device_key"
      }
      expires = true
    }
    ingest_requests = {
      keys    = ["id"]
      strings = ["id"]
      numbers = []
      indexes = {}
      expires = true
    }
  }
}

resource "aws_dynamodb_table" "live" {
  for_each     = local.tables
  name         = "${var.name}-${each.key}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = each.value.keys[0]
  range_key    = length(each.value.keys) > 1 ? each.value.keys[1] : null
  tags         = var.tags

  dynamic "attribute" {
    for_each = each.value.strings
    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "attribute" {
    for_each = each.value.numbers
    content {
      name = attribute.value
      type = "N"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value
      range_key       = "opened_at"
      projection_type = "ALL"
    }
  }

  ttl {
    attribute_name = each.value.expires ? "expires_at" : ""
    enabled        = each.value.expires
  }

  point_in_time_recovery { enabled = true }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.main.arn
  }
}
