//! The settings that a decision depends on: the account's, and those of the services that it names.

use futures_util::future::try_join_all;
use routing::{ConversationServiceSid, Services, Settings};

use crate::Store;
use crate::attempt::Deadline;
use crate::error::StoreError;

impl Store {
    /// The account's settings and these services, read strongly side by side.
    pub async fn settings_get(
        &self,
        services: &[ConversationServiceSid],
        deadline: Deadline,
    ) -> Result<Settings, StoreError> {
        let read = services.iter().map(|sid| async move {
            let service = self.conversation_service_get(*sid, deadline).await?;
            Ok::<_, StoreError>((*sid, service))
        });
        let (account, services) = tokio::try_join!(self.account_get(deadline), try_join_all(read))?;
        Ok(Settings::new(account, services))
    }

    /// Reads services into the settings, strongly and side by side.
    pub async fn services_get(
        &self,
        settings: &mut Settings,
        services: Services,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let conversation = async {
            match services.conversation {
                Some(sid) => {
                    let found = self.conversation_service_get(sid, deadline).await?;
                    Ok::<_, StoreError>(Some((sid, found)))
                }
                None => Ok(None),
            }
        };
        let messaging = async {
            match services.messaging {
                Some(sid) => Ok(Some((
                    sid,
                    self.messaging_service_get(sid, deadline).await?,
                ))),
                None => Ok(None),
            }
        };
        let (conversation, messaging) = tokio::try_join!(conversation, messaging)?;
        if let Some((sid, found)) = conversation {
            settings.insert(sid, found);
        }
        if let Some((sid, found)) = messaging {
            settings.insert_messaging(sid, found);
        }
        Ok(())
    }
}
