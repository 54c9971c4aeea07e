output "kafka_bootstrap" {
  description = "kafka.bootstrapServers of the chart."
  value       = aws_msk_cluster.main.bootstrap_brokers_sasl_scram
}

output "lake_warehouse" {
  description = "lake.warehouse of the chart."
  value       = "s3://${aws_s3_bucket.lake.bucket}/warehouse"
}

output "tables" {
  description = "Names of the DynamoDB tables, by what the services call them."
  value       = { for name, table in aws_dynamodb_table.live : name => table.name }
}

output "aurora" {
  description = "Host of the register and the catalog, and the secret with the owner's password."
  value       = { host = aws_rds_cluster.aurora.endpoint, secret = aws_rds_cluster.aurora.master_user_secret[0].secret_arn }
}

output "redshift" {
  description = "Host of the warehouse, and the secret with the owner's password."
  value       = { host = aws_redshiftserverless_workgroup.warehouse.endpoint[0].address, secret = aws_redshiftserverless_namespace.warehouse.admin_password_secret_arn }
}

output "redshift_iam_role" {
  description = "warehouse.redshiftIamRole of the chart."
  value       = aws_iam_role.redshift.arn
}

output "service_roles" {
  description = "eks.amazonaws.com/role-arn of each service's service account."
  value       = { for name, role in aws_iam_role.service : name => role.arn }
}
