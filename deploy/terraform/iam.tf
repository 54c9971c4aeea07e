# A role per service, for its service account and nobody else's, with the rights that its code uses and no more. Kafka is
# reached with SCRAM users, databases with their own: neither needs IAM. validate and metadata therefore need no role at all.
locals {
  table = { for name, table in aws_dynamodb_table.live : name => table.arn }
  lake  = aws_s3_bucket.lake.arn

  rights = {
    ingest = {
      requests = {
        actions   = ["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"]
        resources = [local.table["ingest_requests"]]
      }
    }
    alert = {
      state = {
        actions   = ["dynamodb:DescribeTable", "dynamodb:UpdateItem"]
        resources = [local.table["device_status"]]
      }
      alerts = {
        actions   = ["dynamodb:DescribeTable", "dynamodb:PutItem", "dynamodb:Query"]
        resources = [local.table["alerts"]]
      }
    }
    dashboard = {
      live = {
        actions   = ["dynamodb:DescribeTable", "dynamodb:BatchGetItem", "dynamodb:Query"]
        resources = [local.table["device_status"], local.table["alerts"], "${local.table["alerts"]}/index/open_by_tenant", "${local.table["alerts"]}/index/by_device"]
      }
    }
    "parquet-sink" = {
      objects = {
        actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
        resources = ["${local.lake}/warehouse/*"]
      }
      probe = {
        actions   = ["s3:DeleteObject"]
        resources = ["${local.lake}/warehouse/.probe/*"]
      }
      bucket = {
        actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
        resources = [local.lake]
      }
    }
    "redshift-loader" = {
      objects = {
        actions   = ["s3:GetObject"]
        resources = ["${local.lake}/warehouse/*"]
      }
      manifests = {
        actions   = ["s3:PutObject"]
        resources = ["${local.lake}/warehouse/*/metadata/companions/*"]
      }
      bucket = {
        actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
        resources = [local.lake]
      }
    }
  }
  # What is encrypted with the key can only be read and written with it.
  key_rights = {
    ingest            = ["kms:Decrypt"]
    alert             = ["kms:Decrypt"]
    dashboard         = ["kms:Decrypt"]
    "parquet-sink"    = ["kms:Decrypt", "kms:GenerateDataKey"]
    "redshift-loader" = ["kms:Decrypt", "kms:GenerateDataKey"]
  }
}

data "aws_iam_policy_document" "assume" {
  for_each = local.rights
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_provider}:sub"
      values   = ["system:serviceaccount:${var.namespace}:${var.name}-${each.key}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${var.oidc_provider}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "rights" {
  for_each = local.rights
  dynamic "statement" {
    for_each = each.value
    content {
      sid       = title(statement.key)
      actions   = statement.value.actions
      resources = statement.value.resources
    }
  }
  statement {
    sid       = "Key"
    actions   = local.key_rights[each.key]
    resources = [aws_kms_key.main.arn]
  }
}

resource "aws_iam_role" "service" {
  for_each           = local.rights
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume[each.key].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "service" {
  for_each = local.rights
  name     = "rights"
  role     = aws_iam_role.service[each.key].id
  policy   = data.aws_iam_policy_document.rights[each.key].json
}

# The role that Redshift reads the lake as (warehouse.redshift_iam_role).
data "aws_iam_policy_document" "redshift_assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.here.account_id]
    }
  }
}

data "aws_iam_policy_document" "redshift_rights" {
  statement {
    sid       = "Objects"
    actions   = ["s3:GetObject"]
    resources = ["${local.lake}/warehouse/*"]
  }
  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [local.lake]
  }
  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.main.arn]
  }
}

resource "aws_iam_role" "redshift" {
  name               = "${var.name}-redshift"
  assume_role_policy = data.aws_iam_policy_document.redshift_assume.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "redshift" {
  name   = "reads-lake"
  role   = aws_iam_role.redshift.id
  policy = data.aws_iam_policy_document.redshift_rights.json
}
