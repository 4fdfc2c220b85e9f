//! What a caller holds, as the policy takes it: its own classes, those of the user for whom it acts,
//! and what bounds it.

use strongroom_access_policy::{
    Actor, Acts, Bound, Ceiling, Delegation, Facts, HeldClass, Wider, may_administer, not_wider,
    within_creator,
};
use strongroom_model::{
    Action, ActsAs, ClassName, ClassTerms, PermissionClass, Principal, TenantState, UserId,
};

use crate::caller::Who;
use crate::snapshot::Loaded;

/// What a caller holds.
pub(crate) struct Held<'a> {
    principal: Principal,
    user: Option<UserId>,
    tenant: TenantState,
    own: Vec<HeldClass<'a>>,
    of_user: Option<Vec<HeldClass<'a>>>,
    ceilings: Vec<Ceiling<'a>>,
}

impl Who {
    /// What the caller holds.
    pub(crate) fn held(&self) -> Held<'_> {
        let acts = match self.acts {
            ActsAs::ForUsers => Acts::ForUsers,
            ActsAs::Itself => Acts::Itself,
        };
        let ceiling = match &self.admission {
            Some(admission) => {
                let purposes = (!admission.purposes.is_empty()).then_some(&*admission.purposes);
                let until = admission.until;
                Some(Ceiling::Backend(Bound { purposes, until, acts, ..Bound::default() }))
            }
            None if acts == Acts::ForUsers => {
                Some(Ceiling::Key(Bound { acts, ..Bound::default() }))
            }
            None => None,
        };
        Held {
            principal: self.principal,
            user: self.user,
            tenant: self.tenant.state,
            own: as_held(&self.classes),
            of_user: self.acting_for.as_ref().map(|acting| as_held(&acting.classes)),
            ceilings: ceiling.into_iter().collect(),
        }
    }
}

fn as_held(classes: &[Loaded<PermissionClass>]) -> Vec<HeldClass<'_>> {
    classes.iter().map(|class| HeldClass { class: &class.value, version: class.version }).collect()
}

impl<'a> Held<'a> {
    /// The facts about the caller, with every other slot empty.
    pub(crate) fn facts(&'a self) -> Facts<'a> {
        let actor = Actor {
            principal: self.principal,
            user: self.user,
            linked_subject: None,
            classes: &self.own,
        };
        let acting_for = self.of_user.as_ref().zip(self.user).map(|(classes, user)| Delegation {
            user: Actor::user(user, None, classes),
            asserted: None,
        });
        Facts { tenant: self.tenant, acting_for, ceilings: &self.ceilings, ..Facts::of(actor) }
    }

    /// The classes of everybody whose classes must allow what is done.
    fn parties(&self) -> impl Iterator<Item = &[HeldClass<'a>]> {
        std::iter::once(self.own.as_slice()).chain(self.of_user.as_deref())
    }

    /// Whether everybody may assign and edit a class.
    pub(crate) fn may_administer(&self, name: &ClassName, terms: &ClassTerms) -> bool {
        self.parties().all(|classes| may_administer(classes, name, terms))
    }

    /// Whether terms allow no more than everybody's classes do.
    ///
    /// # Errors
    /// [`Wider`] with the first thing that goes beyond.
    pub(crate) fn not_wider(&self, terms: &ClassTerms) -> Result<(), Wider> {
        self.parties().try_for_each(|classes| {
            let permitted: Vec<&ClassTerms> =
                classes.iter().map(|held| &held.class.terms).collect();
            not_wider(terms, &permitted)
        })
    }

    /// Whether a class is everybody's, or allows no more than everybody's classes do.
    ///
    /// # Errors
    /// [`Wider`] with the first thing that goes beyond.
    pub(crate) fn covers(&self, class: &PermissionClass) -> Result<(), Wider> {
        let asked = [HeldClass { class, version: 0 }];
        self.parties().try_for_each(|classes| within_creator(&asked, classes))
    }

    /// Whether everybody is an owner.
    pub(crate) fn is_owner(&self) -> bool {
        self.parties().all(|classes| classes.iter().any(|held| held.class.terms.owner))
    }

    /// Whether everybody has a class with an administrative action.
    pub(crate) fn has(&self, action: Action) -> bool {
        self.parties().all(|classes| {
            classes.iter().any(|held| {
                held.class.terms.owner || held.class.terms.administrative.contains(&action)
            })
        })
    }
}
