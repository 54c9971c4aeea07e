{{/* What the schema cannot say: settings that need one another. All mistakes are told at once. */}}
{{- define "meterway.checks" -}}
{{- $v := .Values -}}
{{- $enabled := include "meterway.enabled" . | fromYaml -}}
{{- $needed := dict -}}
{{- range $name, $service := $enabled }}{{ range $service.entry.needs }}{{ $_ := set $needed . $name }}{{ end }}{{ end -}}
{{- $wrong := list -}}
{{- if not $v.kafka.bootstrapServers -}}
{{- $wrong = append $wrong "kafka.bootstrapServers: say which brokers, as host:port" -}}
{{- end -}}
{{- if and (hasPrefix "SASL" $v.kafka.securityProtocol) (not $v.kafka.sasl.existingSecret) -}}
{{- $wrong = append $wrong (printf "kafka.sasl.existingSecret: %s needs a Secret with user and password" $v.kafka.securityProtocol) -}}
{{- end -}}
{{- if not (or $v.registry.url $v.registry.existingSecret) -}}
{{- $wrong = append $wrong "registry.url: say where the schema registry is, or name a Secret with its URL in registry.existingSecret" -}}
{{- end -}}
{{- if and $v.kafka.topics.apply (gt (int $v.kafka.topics.minInsyncReplicas) (int $v.kafka.topics.replicationFactor)) -}}
{{- $wrong = append $wrong "kafka.topics.minInsyncReplicas: more than kafka.topics.replicationFactor, so nothing could be written" -}}
{{- end -}}
{{- if hasKey $needed "catalog" -}}
{{- if not (regexMatch "^s3a?://" $v.lake.warehouse) -}}
{{- $wrong = append $wrong "lake.warehouse: say where tables are put, as s3://bucket/folder" -}}
{{- end -}}
{{- if and (eq $v.lake.catalog.kind "sql") (not $v.lake.catalog.existingSecret) -}}
{{- $wrong = append $wrong "lake.catalog.existingSecret: the sql catalog needs a Secret with its URL" -}}
{{- end -}}
{{- if and (eq $v.lake.catalog.kind "rest") (not (or $v.lake.catalog.uri $v.lake.catalog.existingSecret)) -}}
{{- $wrong = append $wrong "lake.catalog.uri: say where the rest catalog is" -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $needed "warehouse") (not $v.warehouse.existingSecret) -}}
{{- $wrong = append $wrong (printf "warehouse.existingSecret: %s needs a Secret with the warehouse's URLs" (get $needed "warehouse")) -}}
{{- end -}}
{{- if and (hasKey $enabled "redshift-loader") (eq $v.warehouse.dialect "redshift") (not $v.warehouse.redshiftIamRole) -}}
{{- $wrong = append $wrong "warehouse.redshiftIamRole: say as which role Redshift reads the lake" -}}
{{- end -}}
{{- if hasKey $enabled "dashboard" -}}
{{- if not $v.dashboard.existingSecret -}}
{{- $wrong = append $wrong "dashboard.existingSecret: the dashboard needs a Secret with the URLs of its databases" -}}
{{- end -}}
{{- if not (and $v.oidc.issuer $v.oidc.jwksUrl) -}}
{{- $wrong = append $wrong "oidc.issuer, oidc.jwksUrl: say whose tokens the dashboard takes" -}}
{{- end -}}
{{- end -}}
{{- if and (hasKey $needed "register") (not $v.register.existingSecret) -}}
{{- $wrong = append $wrong "register.existingSecret: metadata needs a Secret with its database's URLs" -}}
{{- end -}}
{{- if and (ne $v.lake.catalog.kind "sql") (hasKey $enabled "canary") (has "lake" $v.canary.stages) -}}
{{- $wrong = append $wrong "canary.stages: the command line reads sql catalogs only; leave out lake" -}}
{{- end -}}
{{- range $name, $service := $enabled -}}
{{- $scaling := $service.spec.autoscaling -}}
{{- if eq $scaling.mode "lag" -}}
{{- if not $service.entry.lag -}}
{{- $wrong = append $wrong (printf "services.%s.autoscaling.mode: it does not scale by lag; use cpu or none" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (ne $scaling.mode "none") (gt (int $scaling.minReplicas) (int ($scaling.maxReplicas | default $v.kafka.topics.partitions))) -}}
{{- $wrong = append $wrong (printf "services.%s.autoscaling.minReplicas: more than maxReplicas" $name) -}}
{{- end -}}
{{- if and $service.spec.terminationGracePeriodSeconds (le (int $service.spec.terminationGracePeriodSeconds) (int (add $service.spec.preStopSeconds $service.spec.shutdownGraceSeconds))) -}}
{{- $wrong = append $wrong (printf "services.%s.terminationGracePeriodSeconds: must be above preStopSeconds + shutdownGraceSeconds, or work under way is cut off" $name) -}}
{{- end -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nThe values have %d problem(s):\n  %s\n\nThe README of the chart describes each; examples/ has whole files.\n" (len $wrong) (join "\n  " $wrong)) -}}
{{- end -}}
{{- end -}}
